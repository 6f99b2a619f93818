"""One engine, one file; native code in worker processes."""

"""Published weights to the graphs our engines run. Pure and deterministic."""

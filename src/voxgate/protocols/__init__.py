"""Every wire as pure translation: typed messages and a small table."""

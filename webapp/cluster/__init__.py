"""Past one machine: what several nodes share, and how they learn of each other."""

"""Inference in worker processes: supervised, spoken to over a socket, behind one service."""

# What a worker builds its pipeline with; named as text, because only a worker may import it.
DEFAULT_PIPELINE = "webapp.vision.pipeline:Pipeline.from_version"

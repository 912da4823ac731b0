"""From a folder of labelled faces to a published model version."""

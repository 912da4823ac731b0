"""Admission of a model that somebody uploaded: looked at, converted, measured, in its own process.

``python -m training.admission FOLDER`` reads ``FOLDER/request.json``, works in ``FOLDER`` alone and
leaves ``FOLDER/result.json`` (see :mod:`training.admission.process`). The web process starts it and
reads its answer; it never opens an uploaded model itself.
"""

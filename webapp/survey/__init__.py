"""Surveys: sets of pictures, analysed as a job, with a report that accounts for every file."""

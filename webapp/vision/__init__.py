"""From JPEG bytes to labelled faces; imports neither Flask nor webapp.inference."""

"""Studies by link: people watch at home, their faces are read, and the scores are kept."""

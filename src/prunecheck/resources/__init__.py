"""Data files of the package: shipped studies and published numbers."""

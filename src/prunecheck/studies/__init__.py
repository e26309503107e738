"""Study files that travel with the package."""

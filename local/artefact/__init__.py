"""What gets deployed: building it, and making it small and quick to import. `python -m local.artefact arm64|x86_64|native`."""

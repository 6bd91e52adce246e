"""Build deployment artefacts that are small and quick to import: `python -m local.sam_build arm64|x86_64|native`."""

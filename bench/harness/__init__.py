"""What every measurement uses: servers, a running Parley, load, /proc, and tables."""

"""What every HTTP function shares: the app, its errors, its dependencies, and the ways into Lambda."""

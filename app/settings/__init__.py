"""What the environment, the command line and the configuration files say."""

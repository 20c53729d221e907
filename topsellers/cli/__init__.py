"""The command line. Each command is a module; what is slow to import waits until it runs."""

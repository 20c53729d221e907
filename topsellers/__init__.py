"""The program: command line, settings, embedded services, and the root that wires all adapters."""

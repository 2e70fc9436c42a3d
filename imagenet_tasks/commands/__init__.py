"""The command line. Each command is a module of its name, whose `add_options` says what it takes and does."""

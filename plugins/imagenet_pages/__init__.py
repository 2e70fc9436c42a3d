"""What the plugin shows. Reads artifacts, never writes one."""

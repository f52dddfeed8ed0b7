"""Every row held against its workflow and the disk before anything is sent."""

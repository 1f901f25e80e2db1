"""Exported cells -> the modules of src/groundup/."""

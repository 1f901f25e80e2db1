"""The book as data: its files, cells and names."""

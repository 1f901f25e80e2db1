"""The workshop: turns the chapters of the book into a library and a site."""

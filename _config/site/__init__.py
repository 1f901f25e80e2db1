"""The book as a site: pages, links, the reference, the theme."""

"""The workshop: turns the chapters of the book into a library and a site.

Rooms; each uses only those above it::

    chapters/  the book as data: the parser, the resolver of names, files
    library/   exported cells -> the modules of src/groundup/
    ledger/    what each chapter earns, borrows and uses; proofs
    runs/      what a change can reach, execution, records, benchmarks, data
    site/      Sphinx: pages, links, the API, the theme; a build's steps

The commands ``build``, ``extract``, ``execute``, ``record`` and ``bench`` are
their doors, as is ``ledger`` itself.
"""

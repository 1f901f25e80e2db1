"""The workshop: turns the chapters of the book into a library and a site.

chapters                      the one parser: text -> Chapter(cells)
extract                       tagged cells -> src/groundup/; with modules,
                              refusals, needs, slices, assemble, syntax
ledger                        what is allowed, earned, on loan; with rule,
                              uses, proofs, torch_names, ledger.toml
bench                         our speed beside torch's
execute                       runs stale chapters; with run, kernels, reach,
                              store, notebook, data
record                        long measurements, kept beside their chapter
sphinx_ext                    wires all of it into the site; with api, links,
                              changes, figures, markup, page, receipts, icons,
                              katex, warned, theme/
serve                         live preview
browser                       the built pages in a browser; with site_files
"""

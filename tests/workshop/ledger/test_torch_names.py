"""The notes on torch's names save time, and nothing depends on them."""

from _config.ledger import torch_names


def test_a_disk_that_refuses_the_notes_costs_no_answer(monkeypatch, tmp_path):
    no_folder = tmp_path / "file"
    no_folder.touch()
    monkeypatch.setattr(torch_names, "ANSWERS", no_folder / "names.json")
    torch_names.answers.cache_clear()
    try:
        assert torch_names.kind("torch.nn") == "module"
        assert torch_names.kind("torch.nn.Linear") == "definition"
        assert torch_names.kind("torch.nn.Liner") == "missing"
    finally:
        torch_names.answers.cache_clear()

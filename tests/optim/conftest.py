"""What every optimizer has to refuse, as torch does."""

import re
import warnings

import pytest
import torch


@pytest.fixture
def refuses():
    """Check that an optimizer raises torch's error, in torch's words."""

    def check(kind, error):
        sample = error.optimizer_error_input
        params = sample.params
        if params is None:
            params = [torch.ones(2, 2).requires_grad_()]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(error.error_type) as caught:
                kind(params, **sample.kwargs)
        pattern = error.error_regex.removesuffix(".*")
        assert re.search(pattern, str(caught.value)), str(caught.value)

    return check

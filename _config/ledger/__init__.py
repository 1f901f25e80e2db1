"""What each chapter earns, borrows and uses, and the tests that prove it."""

"""What a change can reach; running chapters, records and benchmarks."""

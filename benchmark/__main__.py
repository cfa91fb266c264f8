"""`python -m benchmark COMMAND`: everything but preparing, training and reporting, which `run_all.py` does."""

if __name__ == "__main__":
    from benchmark.cli.process import launch

    launch("python -m benchmark", "benchmark.cli.commands")

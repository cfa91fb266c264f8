"""Reproduce "Barlow Twins for Sequential Recommendation": python run_all.py --help."""

if __name__ == "__main__":  # worker processes import this file too
    from benchmark.cli.process import launch

    launch("run_all.py", "benchmark.cli.main")

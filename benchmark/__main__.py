"""`python -m benchmark COMMAND`: everything but preparing, training and reporting, which `run_all.py` does."""

if __name__ == "__main__":
    from benchmark.cli.process import begin, end

    begin("python -m benchmark")
    from benchmark.cli.commands import main  # imported last, because it takes a while

    end(main())

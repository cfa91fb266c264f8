"""Reproduce "Barlow Twins for Sequential Recommendation": python run_all.py --help."""

if __name__ == "__main__":  # worker processes import this file too
    from benchmark.cli.process import begin, end

    begin("run_all.py")
    from benchmark.cli.main import main  # imported last, because it takes a while

    end(main())

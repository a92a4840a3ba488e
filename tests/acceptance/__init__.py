"""What a user can state about whole programs, through `nexort.compile(text).run(…)` and `.limit(…)` alone."""

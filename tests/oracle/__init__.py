"""An independent reading of the language, against which the engines are tested. See `naive.NaiveRun`."""

//! Counters and histograms that every floor may touch; knows nobody.

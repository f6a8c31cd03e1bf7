//! Finds words, quotes, comments, dollar quotes and parameters in SQL.

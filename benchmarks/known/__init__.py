"""Problems small enough for their worst case to be known exactly, and how it is found without a search."""

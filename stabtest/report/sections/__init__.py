"""The sections of the page, one small module for each theme: a document goes in, a `Section` of blocks comes out."""

"""What tests of several folders share, apart from fixtures, which are in conftest modules."""

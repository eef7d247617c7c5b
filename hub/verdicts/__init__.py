"""What the scanner's verdict on a file means, made ready to be shown: for the pages and for both protocols alike. Decides nothing."""

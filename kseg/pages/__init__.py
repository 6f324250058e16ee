"""What kseg's HTML pages share: the style sheet, and (with each page that needs them) scripts and templates."""

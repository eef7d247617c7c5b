"""How each language of the pages writes dates and numbers where Django does otherwise; `FORMAT_MODULE_PATH`. No rules, no words."""

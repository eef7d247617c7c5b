# The same commands for those who type make; `./weigh help` tells the options.
.PHONY: up test
up:
	./weigh up
test:
	./weigh test

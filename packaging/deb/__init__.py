"""What `packaging/build-deb` makes before debhelper takes over. No part of the program."""

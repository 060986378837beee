# The developer's commands; each is a script in tools/ that works without make.
.PHONY: build demo test test-guest run lint clean
build:
	tools/bootstrap build
	test -f build/build.ninja || meson setup build
	ninja -C build
demo:
	tools/demo
test:
	tools/test
test-guest:
	tools/test guest-all
run:
	tools/run
lint:
	tools/test lint
clean:
	rm -rf build

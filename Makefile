# Everything here works from a clean clone; `make` alone lists the targets.
# RUN steps into the ROS 2 that scripts/setup.sh found or made.
RUN := scripts/with-ros.sh

.PHONY: help setup build test fuzz check demo experiment screenshots bench render images images-test clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## find a ROS 2, or make .ros/; get the test packages
	@scripts/setup.sh

build: setup ## release binaries in target/release
	$(RUN) cargo build --workspace --exclude load --release

test: setup ## every test
	@scripts/install-test-tools.sh
	scripts/without-ros.sh cargo test
	scripts/colcon.sh
	$(RUN) scripts/end-to-end.sh
	scripts/fuzz.sh 60

fuzz: ## look for bytes that break the ROS-TCP protocol, for FUZZ_SECONDS (60)
	@scripts/fuzz.sh $${FUZZ_SECONDS:-60}

check: setup ## formatting, lints, documentation, licences, scripts
	$(RUN) scripts/check.sh

demo: build ## a robot and its twin in physics, watched, until Ctrl-C (DEMO_PORT, DEMO_SECONDS)
	@$(RUN) python3 scripts/demo.py

experiment: build ## a delay told from a fault: runs it, keeps and draws it in docs/
	@scripts/experiment.sh

screenshots: build ## pictures of the live page for docs/, from the demo's robot and twin
	@scripts/install-test-tools.sh
	@$(RUN) python3 scripts/screenshots.py

bench: setup ## compare with Python and with bare loops
	scripts/bench.sh

render: setup ## Grafana's dashboards, deploy/kubernetes from the Helm chart, docs/values.md from its values
	$(RUN) scripts/render.py

images: ## nodes, physics and simulation, with docker or buildah (REGISTRY, TAG)
	@scripts/images.sh

images-test: setup ## build nodes and physics from source, run and scrape them
	@scripts/install-test-tools.sh
	IMAGES_FROM_SOURCE=1 $(RUN) scripts/end-to-end.sh -s -k test_images -o faulthandler_timeout=3900

clean: ## remove all that was built, .ros/ and .venv/ too
	rm -rf target .ros .ros.partial.* .venv .venv.partial.* .tools tests/.pytest_cache

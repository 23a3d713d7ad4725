# The segmenter with a ROS distribution. From the repository:
#     docker build -t dcfm_ros .                                       # --build-arg ROS_DISTRO=kilted
#     docker run --rm --net=host --ipc=host dcfm_ros                   # segments /camera/image_raw
#     docker run --rm --net=host --ipc=host dcfm_ros ros2 launch dcfm_ros segment.launch.py image:=/front/image_raw
# On an NVIDIA GPU, with NVIDIA's container toolkit: build with --build-arg TORCH_INDEX=cu130 (or cu128), and for the
# backend `tensorrt` with --build-arg TENSORRT=tensorrt-cu13 (or tensorrt-cu12), too; run with --gpus all. Neither was
# tried where this was written: there was no GPU beside a Docker.
#
# --net=host: DDS finds others by multicast, which Docker's own network does not carry.
# --ipc=host belongs to it: Fast DDS gives data to processes on the same network by shared memory, and without a common
#     one they may see topics and get nothing. The user outside should be number 1000, too, for the same reason. Where
#     the camera runs in this container, --shm-size=1g will do: images need more than Docker's 64 MB.
ARG ROS_DISTRO=jazzy

# What package.xml names, and what `make build` needs: for development in a mounted checkout.
FROM ros:${ROS_DISTRO}-ros-base AS dev
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY package.xml /tmp/dcfm_ros/
# hadolint ignore=DL3008
RUN export DEBIAN_FRONTEND=noninteractive \
    && echo 'APT::Install-Recommends "false";' > /etc/apt/apt.conf.d/90no-recommends \
    && apt-get update \
    && apt-get install -y --no-install-recommends g++ git make python3-dev python3-venv \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install -y --from-paths /tmp/dcfm_ros --ignore-src --rosdistro "$ROS_DISTRO" \
    && rm -rf /var/lib/apt/lists/* /tmp/dcfm_ros \
    && install -d -o 1000 -g 1000 /home/ubuntu/dcfm_ros
# Images are built without a GPU, so `make` cannot see what fits.
ARG TORCH_INDEX=cpu
ENV TORCH_INDEX=${TORCH_INDEX}
# Ubuntu's images come with this ordinary user, `ubuntu`.
USER 1000:1000
WORKDIR /home/ubuntu/dcfm_ros

FROM dev
# What pip installs for the backend `tensorrt`, several GB: tensorrt-cu13 or tensorrt-cu12. Empty: nothing.
ARG TENSORRT=
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# PyTorch and the like: large, rarely changed, so a layer of its own.
COPY --chown=1000:1000 Makefile ./
COPY --chown=1000:1000 scripts/install_torch.bash scripts/
COPY --chown=1000:1000 requirements requirements
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && make setup \
    && if [ -n "$TENSORRT" ]; then .venv/bin/python -m pip install --no-cache-dir "$TENSORRT"; fi
COPY --chown=1000:1000 . .
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && make build
ENTRYPOINT ["scripts/entrypoint.bash"]
CMD ["ros2", "launch", "dcfm_ros", "segment.launch.py", "image:=/camera/image_raw"]

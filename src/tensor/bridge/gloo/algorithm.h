// Headers of Gloo, which libtorch has compiled in and does not ship: what c10d's header for it names, and no more.
#pragma once

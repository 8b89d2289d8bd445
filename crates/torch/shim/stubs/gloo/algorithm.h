// libtorch's headers of its gloo process group include gloo's own, which its wheel does not have. gloo appears in them
// behind pointers only, so declarations suffice; this folder has no more than those.
#pragma once

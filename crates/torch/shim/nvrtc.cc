// Compiles norm.cu for a GPU and launches it. NVRTC and the driver are looked for at run time, because one program serves machines
// with and without a GPU: nothing here needs their headers.

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "gpu.h"
#include "guard.h"
#include "texts.h"

namespace {

std::string loaders_words() {
  const char *said = dlerror();
  return said ? said : "the loader does not say why";
}

void *function(void *library, const char *name) {
  void *found = dlsym(library, name);
  TORCH_CHECK(found, "no ", name, ": ", loaders_words());
  return found;
}

// A library that stays, by the first of these names that is found.
void *library(const std::vector<const char *> &names) {
  std::string said;
  for (const char *name : names) {
    if (void *found = dlopen(name, RTLD_NOW | RTLD_GLOBAL)) return found;
    said = loaders_words();
  }
  TORCH_CHECK(false, said);
}

#define FIND(name) name(reinterpret_cast<decltype(name)>(function(library, #name)))

struct Nvrtc {
  using Program = void *;
  void *library;
  int (*nvrtcVersion)(int *major, int *minor);
  int (*nvrtcCreateProgram)(Program *, const char *text, const char *name, int headers, const char *const *texts,
                            const char *const *names);
  int (*nvrtcCompileProgram)(Program, int n, const char *const *options);
  int (*nvrtcGetProgramLogSize)(Program, size_t *);
  int (*nvrtcGetProgramLog)(Program, char *);
  int (*nvrtcGetCUBINSize)(Program, size_t *);
  int (*nvrtcGetCUBIN)(Program, char *);
  int (*nvrtcDestroyProgram)(Program *);
  const char *(*nvrtcGetErrorString)(int);

  explicit Nvrtc(void *from)
      : library(from),
        FIND(nvrtcVersion),
        FIND(nvrtcCreateProgram),
        FIND(nvrtcCompileProgram),
        FIND(nvrtcGetProgramLogSize),
        FIND(nvrtcGetProgramLog),
        FIND(nvrtcGetCUBINSize),
        FIND(nvrtcGetCUBIN),
        FIND(nvrtcDestroyProgram),
        FIND(nvrtcGetErrorString) {
    // It looks for this part of itself by name, which the loader finds beside it only if it is loaded already.
    int major = 0, minor = 0;
    Dl_info here;
    if (nvrtcVersion(&major, &minor) != 0 || !dladdr(dlsym(library, "nvrtcVersion"), &here)) return;
    std::string part = here.dli_fname;
    part.resize(part.rfind('/') + 1);
    part += "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
    dlopen(part.c_str(), RTLD_NOW | RTLD_GLOBAL);
  }

  void check(int code, const char *what) const {
    TORCH_CHECK(code == 0, what, " of NVRTC: ", nvrtcGetErrorString(code));
  }

  std::string log(Program program) const {
    size_t size = 0;
    if (nvrtcGetProgramLogSize(program, &size) != 0 || size == 0) return {};
    std::string said(size, '\0');
    if (nvrtcGetProgramLog(program, said.data()) != 0) return {};
    return said.c_str();
  }
};

Nvrtc nvrtc_at(const char *path) {
  if (!path) path = std::getenv("FEWSTEP_NVRTC");
  if (path) return Nvrtc(library({path}));
  // A library of libtorch's that needs NVRTC knows the folders where a Python package of it lies; the name is then loaded.
  dlopen("libcaffe2_nvrtc.so", RTLD_NOW | RTLD_GLOBAL);
  return Nvrtc(library({"libnvrtc.so.13", "libnvrtc.so.12"}));
}

struct Driver {
  using Context = void *;
  using Module = void *;
  using Function = void *;
  void *library = ::library({"libcuda.so.1"});
  int (*cuGetErrorName)(int, const char **);
  int (*cuDeviceGet)(int *, int);
  int (*cuDeviceGetAttribute)(int *, int attribute, int device);
  int (*cuCtxGetCurrent)(Context *);
  int (*cuCtxSetCurrent)(Context);
  int (*cuDevicePrimaryCtxRetain)(Context *, int device);
  int (*cuModuleLoadData)(Module *, const void *);
  int (*cuModuleGetFunction)(Function *, Module, const char *);
  int (*cuLaunchKernel)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned shared,
                        void *stream, void **arguments, void **extra);

  Driver()
      : FIND(cuGetErrorName),
        FIND(cuDeviceGet),
        FIND(cuDeviceGetAttribute),
        FIND(cuCtxGetCurrent),
        FIND(cuCtxSetCurrent),
        FIND(cuDevicePrimaryCtxRetain),
        FIND(cuModuleLoadData),
        FIND(cuModuleGetFunction),
        FIND(cuLaunchKernel) {}

  void check(int code, const char *what) const {
    const char *name = nullptr;
    if (code != 0) cuGetErrorName(code, &name);
    TORCH_CHECK(code == 0, what, " of NVIDIA's driver: ", name ? name : "unknown error");
  }
};

#define CALL(of, name, ...) (of).check((of).name(__VA_ARGS__), #name)

// The driver's numbers for the two parts of the architecture's name.
constexpr int MAJOR = 75, MINOR = 76;

struct Functions {
  Driver::Function forward = nullptr, backward = nullptr;
  std::string failed;  // why there are none
};

struct Gpu : NormRunner {
  int device;
  int number = 0;
  Driver driver;
  Driver::Context context = nullptr;
  std::string architecture;
  std::mutex lock;
  std::map<int, Functions> ready;

  explicit Gpu(int of) : device(of) {
    int major = 0, minor = 0;
    CALL(driver, cuDeviceGet, &number, device);
    CALL(driver, cuDeviceGetAttribute, &major, MAJOR, number);
    CALL(driver, cuDeviceGetAttribute, &minor, MINOR, number);
    architecture = "sm_" + std::to_string(major) + std::to_string(minor);
    // The one that libtorch uses; it is never given back.
    CALL(driver, cuDevicePrimaryCtxRetain, &context, number);
  }

  // A thread that has not asked CUDA for anything yet has no context.
  void enter() const {
    Driver::Context current = nullptr;
    CALL(driver, cuCtxGetCurrent, &current);
    if (current != context) CALL(driver, cuCtxSetCurrent, context);
  }

  const Functions &functions(const NormVariant &v) {
    std::lock_guard<std::mutex> guard(lock);
    const auto [at, is_new] = ready.try_emplace(v.vector * 4 + v.bf16 * 2 + v.last);
    Functions &f = at->second;
    if (is_new) {
      try {
        const std::string code = compile_norm(nullptr, architecture, v);
        enter();
        Driver::Module module = nullptr;
        CALL(driver, cuModuleLoadData, &module, code.data());
        CALL(driver, cuModuleGetFunction, &f.forward, module, "fewstep_norm_forward");
        CALL(driver, cuModuleGetFunction, &f.backward, module, "fewstep_norm_backward");
      } catch (const c10::Error &e) {
        f.failed = e.what_without_backtrace();
      }
    }
    TORCH_CHECK(f.failed.empty(), f.failed);
    return f;
  }

  void prepare(const NormVariant &v) override {
    const c10::DeviceGuard guard(c10::Device(c10::kCUDA, c10::DeviceIndex(device)));
    functions(v);
  }

  void run(const NormLaunch &l, NormArgs arguments) override {
    const Functions &f = functions(l.variant);
    enter();
    const c10::impl::VirtualGuardImpl cuda(c10::kCUDA);
    void *stream = cuda.getStream(c10::Device(c10::kCUDA, c10::DeviceIndex(device))).native_handle();
    void *given[] = {&arguments};
    CALL(driver, cuLaunchKernel, l.backward ? f.backward : f.forward, l.blocks, 1, 1, l.threads, 1, 1, l.shared,
         stream, given, nullptr);
  }
};

}  // namespace

std::string option(const char *name, const std::string &value) { return std::string("-D") + name + "=" + value; }

std::string compile_norm(const char *path, const std::string &architecture, const NormVariant &v) {
  const Nvrtc nvrtc = nvrtc_at(path);
  const std::string options[] = {"--gpu-architecture=" + architecture, "--std=c++17",
                                 option("FEWSTEP_KIND", v.bf16 ? "Bf16" : "float"),
                                 option("FEWSTEP_VECTOR", std::to_string(v.vector)),
                                 option("FEWSTEP_LAST", v.last ? "true" : "false")};
  std::vector<const char *> given;
  for (const auto &o : options) given.push_back(o.c_str());
  const char *texts[] = {NORM_ARGS_H}, *names[] = {"norm_args.h"};
  Nvrtc::Program program = nullptr;
  CALL(nvrtc, nvrtcCreateProgram, &program, NORM_CU, "norm.cu", 1, texts, names);
  const auto destroy = [&](void *p) { nvrtc.nvrtcDestroyProgram(&p); };
  const std::unique_ptr<void, decltype(destroy)> owner(program, destroy);
  const int code = nvrtc.nvrtcCompileProgram(program, int(given.size()), given.data());
  TORCH_CHECK(code == 0, "NVRTC compiles norm.cu for ", architecture, " with ", nvrtc.nvrtcGetErrorString(code), ": ",
              nvrtc.log(program));
  size_t size = 0;
  CALL(nvrtc, nvrtcGetCUBINSize, program, &size);
  std::string cubin(size, '\0');
  CALL(nvrtc, nvrtcGetCUBIN, program, cubin.data());
  return cubin;
}

NormRunner &norm_runner_of_gpu(int device) {
  static std::mutex lock;
  static std::map<int, std::unique_ptr<Gpu>> gpus;
  std::lock_guard<std::mutex> guard(lock);
  auto &gpu = gpus[device];
  if (!gpu) gpu = std::make_unique<Gpu>(device);
  return *gpu;
}

extern "C" {

// Compiles the kernels of norm.cu for an architecture such as `sm_90`, by the NVRTC at `path` or the one that is found, and
// counts the bytes.
int fewstep_compile_norm(const char *path, const char *architecture, int bf16, int last, int vector, size_t *bytes,
                         char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    *bytes = compile_norm(path, architecture, {bf16 != 0, last != 0, vector}).size();
  });
}

}  // extern "C"
